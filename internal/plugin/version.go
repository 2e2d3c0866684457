package plugin

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/keys"
)

// Version is set by release builds.
var Version string

func newVersionCommand(s *session) *cobra.Command {
	var output outputFlags
	command := &cobra.Command{
		Use:   "version",
		Short: "Print the version, and whether this build can use smart cards",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			about := VersionInfo{Version: version(), Go: runtime.Version(), API: v1alpha1.GroupVersion.String(), PKCS11: keys.HasPKCS11}
			return output.print(s, &about, func() {
				s.say("version: %s\ngo: %s\napi: %s\npkcs11: %t\n", about.Version, about.Go, about.API, about.PKCS11)
			})
		},
	}
	output.add(command)
	return command
}

func version() string {
	if Version != "" {
		return Version
	}
	if build, found := debug.ReadBuildInfo(); found {
		return build.Main.Version
	}
	return "unknown"
}
