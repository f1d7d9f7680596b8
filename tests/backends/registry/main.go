// Command registry starts a CNCF Distribution registry with images in a folder: registry serve CONFIG.yaml
//
// Upstream's own command links the storage of every cloud, which takes minutes to build and which no test uses.
package main

import (
	"log"

	"github.com/distribution/distribution/v3/registry"
	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
)

func main() {
	if err := registry.RootCmd.Execute(); err != nil {
		log.Fatalln(err)
	}
}
