// Command tempo starts Grafana Tempo 1.5 in single-binary mode: tempo CONFIG.yaml
//
// `${NAME}` in the file is replaced from the environment. Test-only: Tempo is AGPL-3.0, see README.md.
package main

import (
	"flag"
	"log"
	"os"

	"github.com/grafana/tempo/cmd/tempo/app"
	tempolog "github.com/grafana/tempo/pkg/util/log"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // initialised before us, so that ours replaces it
	"google.golang.org/protobuf/proto"
	"gopkg.in/yaml.v2"
)

// Tempo 1.5 registers its own codec named "proto" in an init function and relies on running
// after gRPC's. Since Go 1.21 packages initialise in import-path order, so gRPC's wins and the
// first write panics ("invalid Go type tempopb.PreallocBytes"). main's init runs last: do it here.
type codec struct{}

func (codec) Name() string { return "proto" }

func (codec) Marshal(v any) ([]byte, error) {
	if m, ok := v.(interface{ Marshal() ([]byte, error) }); ok {
		return m.Marshal()
	}
	return proto.Marshal(v.(proto.Message))
}

func (codec) Unmarshal(b []byte, v any) error {
	if m, ok := v.(interface{ Unmarshal([]byte) error }); ok {
		return m.Unmarshal(b)
	}
	return proto.Unmarshal(b, v.(proto.Message))
}

func init() { encoding.RegisterCodec(codec{}) }

func main() {
	if err := run(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func run(file string) error {
	cfg, err := load(file)
	if err != nil {
		return err
	}
	tempolog.InitLogger(&cfg.Server)
	a, err := app.New(*cfg)
	if err != nil {
		return err
	}
	return a.Run()
}

func load(file string) (*app.Config, error) {
	var cfg app.Config
	cfg.RegisterFlagsAndApplyDefaults("", flag.NewFlagSet("tempo", flag.ExitOnError))
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if err := yaml.UnmarshalStrict([]byte(os.ExpandEnv(string(text))), &cfg); err != nil {
		return nil, err
	}
	// What Tempo's own main forces for target "all".
	ring := &cfg.Ingester.LifecyclerConfig
	ring.RingConfig.KVStore.Store, ring.RingConfig.ReplicationFactor, ring.Addr = "inmemory", 1, "127.0.0.1"
	cfg.Generator.Ring.KVStore.Store, cfg.Generator.Ring.InstanceAddr = "inmemory", "127.0.0.1"
	return &cfg, nil
}
