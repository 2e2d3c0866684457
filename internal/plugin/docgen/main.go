// Command docgen writes the pages of `kubectl tokenproc` to a folder: `go generate ./internal/plugin`.
package main

import (
	"fmt"
	"os"

	"github.com/tokenprocedures/token-procedure-operator/internal/plugin"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: docgen FOLDER")
		os.Exit(2)
	}
	if err := plugin.WriteDocs(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
