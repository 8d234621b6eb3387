package job

import (
	"context"
	"sync"
	"time"

	"github.com/nestos/nosa-actions/internal/plan"
)

// gauge watches what a stage takes of the disk.
type gauge struct {
	forecast plan.Forecast
	path     string
	began    time.Time
	free     int64 // at the beginning
	end      context.CancelFunc
	done     sync.WaitGroup
	least    int64
}

// gaugeEvery is the time between two looks at the disk.
const gaugeEvery = 2 * time.Second

// startGauge begins to watch. A disk that cannot be asked is not watched.
func startGauge(ctx context.Context, path string, f plan.Forecast) *gauge {
	free, err := freeBytes(path)
	if err != nil {
		return nil
	}
	ctx, end := context.WithCancel(ctx)
	g := &gauge{forecast: f, path: path, began: time.Now(), free: free, least: free, end: end}
	g.done.Go(func() {
		tick := time.NewTicker(gaugeEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				g.look()
			}
		}
	})
	return g
}

func (g *gauge) look() {
	if free, err := freeBytes(g.path); err == nil {
		g.least = min(g.least, free)
	}
}

func (g *gauge) stop() plan.Measurement {
	g.end()
	g.done.Wait()
	g.look()
	return plan.Measurement{Forecast: g.forecast, Disk: g.free - g.least, Time: time.Since(g.began)}
}
