// Command influxd is InfluxDB 2 without its web page: the server the tests and benches write to.
//
// It is the upstream launcher and nothing else. The storage engine and the index register
// themselves on import; without these two lines the server starts and cannot open a shard.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/influxdata/influxdb/v2"
	"github.com/influxdata/influxdb/v2/cmd/influxd/launcher"
	_ "github.com/influxdata/influxdb/v2/tsdb/engine/tsm1"
	_ "github.com/influxdata/influxdb/v2/tsdb/index/tsi1"
	"github.com/spf13/viper"
)

// version is set by the linker to the version of the module this was built from.
var version = "dev"

func main() {
	influxdb.SetBuildInfo(version, "none", "")
	command, err := launcher.NewInfluxdCommand(context.Background(), viper.New())
	if err == nil {
		command.SilenceUsage = true
		err = command.Execute()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
