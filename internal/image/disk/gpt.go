package disk

import (
	"fmt"
	"os"

	"github.com/diskfs/go-diskfs/partition/gpt"

	"github.com/nestos/nosa-actions/internal/image"
)

// createDisk makes a sparse file with the plan's partition table and nothing
// else. The table comes first because its writer flushes the file four times,
// which is cheap only while the file is empty.
func createDisk(path string, plan *image.Plan) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(plan.Size); err != nil {
		return err
	}
	if err := partitionTable(plan).Write(f, plan.Size); err != nil {
		return fmt.Errorf("writing the partition table: %w", err)
	}
	return f.Close()
}

func partitionTable(plan *image.Plan) *gpt.Table {
	t := &gpt.Table{
		LogicalSectorSize:  int(plan.SectorSize),
		PhysicalSectorSize: int(plan.SectorSize),
		GUID:               plan.DiskGUID,
		ProtectiveMBR:      true,
	}
	for _, part := range plan.Partitions {
		t.Partitions = append(t.Partitions, &gpt.Partition{
			Index: part.Number,
			Start: uint64(part.Start / plan.SectorSize),
			End:   uint64((part.Start+part.Size)/plan.SectorSize) - 1,
			Size:  uint64(part.Size),
			Type:  gpt.Type(part.Type),
			GUID:  part.GUID,
			Name:  part.Label,
		})
	}
	return t
}
