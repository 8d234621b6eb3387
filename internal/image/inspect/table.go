package inspect

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"

	"github.com/diskfs/go-diskfs/partition/gpt"

	"github.com/nestos/nosa-actions/internal/image"
)

// section is a partition and what can be read from it.
type section struct {
	Partition
	data  *io.SectionReader
	files *files // nil: none can be read
}

// wholeDisk looks at a partitioned disk from its table to its files.
func (i *inspector) wholeDisk() {
	table := i.table()
	if table == nil {
		return
	}
	i.img.SectorSize, i.img.DiskGUID = table.LogicalSectorSize, strings.ToLower(table.GUID)
	i.judgeTable(table)
	i.parts = map[int]*section{}
	for _, p := range table.Partitions {
		if p.Type == gpt.Unused {
			continue
		}
		s := &section{Partition: Partition{
			Number: p.Index, Label: p.Name, Type: strings.ToUpper(string(p.Type)), GUID: strings.ToLower(p.GUID), Start: p.GetStart(), Size: p.GetSize(),
		}}
		s.data = i.disk.part(s.Start, s.Size)
		i.openPartition(s)
		i.parts[s.Number] = s
		i.img.Partitions = append(i.img.Partitions, s.Partition)
	}
	slices.SortFunc(i.img.Partitions, func(a, b Partition) int { return a.Number - b.Number })
	i.judgePartitions()
	i.system()
}

// table reads the partition table, from its copy at the end if it has to be.
func (i *inspector) table() *gpt.Table {
	sector := 0
	for _, size := range []int{512, 4096} {
		if string(i.disk.bytes(int64(size), 8)) == "EFI PART" {
			sector = size
			break
		}
	}
	if sector == 0 {
		i.bad("partition table", "there is none: no sector 1 begins with EFI PART")
		for _, size := range []int{512, 4096} {
			if string(i.disk.bytes(i.disk.size-int64(size), 8)) == "EFI PART" {
				sector = size
			}
		}
	}
	if sector == 0 {
		return nil
	}
	var table *gpt.Table
	err := guard(func() (err error) {
		table, err = gpt.Read(storage(i.disk, i.disk.size), sector, sector)
		return err
	})
	if err != nil {
		i.bad("partition table", "cannot be read: %v", err)
		return nil
	}
	if table.RecoveredFromBackup {
		i.bad("partition table", "the first copy is damaged; the one at the end of the disk is good")
	}
	return table
}

// judgeTable looks at what frames the partitions.
func (i *inspector) judgeTable(table *gpt.Table) {
	const where = "partition table"
	if !strings.EqualFold(table.GUID, image.DiskGUID) {
		i.bad(where, "the disk GUID is %s instead of %s, by which the first boot knows a fresh disk", strings.ToLower(table.GUID), image.DiskGUID)
	}
	if mbr := i.disk.bytes(0, 512); mbr == nil || mbr[510] != 0x55 || mbr[511] != 0xaa || mbr[446+4] != 0xee {
		i.bad(where, "the protective MBR is missing")
	}
	if !table.RecoveredFromBackup {
		i.judgeBackup(int64(table.LogicalSectorSize))
	}
}

// judgeBackup holds the copy at the end of the disk against the first.
func (i *inspector) judgeBackup(sector int64) {
	const where = "partition table"
	last := i.disk.size - sector
	first, copied := i.disk.bytes(sector, int(sector)), i.disk.bytes(last, int(sector))
	if first == nil || copied == nil || string(copied[:8]) != "EFI PART" {
		i.bad(where, "there is no copy at the end of the disk")
		return
	}
	le := binary.LittleEndian
	head := bytes.Clone(copied[:92])
	clear(head[16:20])
	switch {
	case le.Uint32(copied[16:]) != crc32.ChecksumIEEE(head):
		i.bad(where, "the copy at the end of the disk has a wrong checksum")
		return
	case int64(le.Uint64(first[32:]))*sector != last || int64(le.Uint64(copied[24:]))*sector != last:
		i.bad(where, "the copy is not where the table says")
	}
	size := int64(le.Uint32(copied[80:])) * int64(le.Uint32(copied[84:]))
	if size < 0 || size > 1<<20 {
		i.bad(where, "the copy at the end of the disk is too long")
		return
	}
	list, other := i.disk.bytes(int64(le.Uint64(first[72:]))*sector, int(size)), i.disk.bytes(int64(le.Uint64(copied[72:]))*sector, int(size))
	if !bytes.Equal(list, other) {
		i.bad(where, "the copy at the end of the disk lists other partitions")
	}
}

// openPartition finds the file system of a partition.
func (i *inspector) openPartition(s *section) {
	where := s.name()
	if s.Start+s.Size > i.disk.size {
		i.bad(where, "ends %d bytes beyond the disk", s.Start+s.Size-i.disk.size)
	}
	fsys, r, err := probe(s.data)
	s.Filesystem = fsys
	if err != nil {
		i.bad(where, "%v", err)
	}
	if r != nil {
		f := newFiles(i.ctx, r)
		s.files = &f
	}
	if fsys == nil {
		return
	}
	if fsys.Size > s.Size {
		i.bad(where, "the file system takes %d bytes, the partition has %d", fsys.Size, s.Size)
	}
	if fsys.Clean != nil && !*fsys.Clean {
		i.bad(where, "the file system was not unmounted properly")
	}
}

// name is how findings call a partition.
func (s *section) name() string {
	if s.Label != "" {
		return s.Label
	}
	return fmt.Sprintf("partition %d", s.Number)
}
