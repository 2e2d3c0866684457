package plugin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// Config is the officer's own configuration. It is never read from a cluster or a repository: what it allows is the
// officer's decision alone.
type Config struct {
	// Audiences are the CM hosts that the officer signs for.
	Audiences []string `json:"audiences"`
}

// configPath is where the officer's configuration is.
func configPath() (string, error) {
	folder := os.Getenv("XDG_CONFIG_HOME")
	if folder == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("where your configuration is, is not known: %w", err)
		}
		folder = filepath.Join(home, ".config")
	}
	return filepath.Join(folder, "kubectl-tokenproc", "config.yaml"), nil
}

func readConfig() (Config, error) {
	var config Config
	path, err := configPath()
	if err != nil {
		return config, err
	}
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return config, nil
	}
	if err == nil {
		err = yaml.UnmarshalStrict(content, &config)
	}
	if err != nil {
		return config, usagef("%s: %w; expected `audiences: [cm.example.com]`", path, err)
	}
	return config, nil
}

// maySignFor refuses to sign for an audience that the officer allowed neither in the configuration nor on the command line:
// a cluster must not be able to borrow production's name.
func maySignFor(audience, allowed string) error {
	if audience == allowed {
		return nil
	}
	config, err := readConfig()
	if err != nil || slices.Contains(config.Audiences, audience) {
		return err
	}
	path, err := configPath()
	if err != nil {
		return err
	}
	listed := "which lists " + strings.Join(config.Audiences, ", ")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		listed = "which does not exist yet"
	} else if len(config.Audiences) == 0 {
		listed = "which lists none"
	}
	return usagef("the request is for the CM host %q, which you have not allowed: if that is your CM host (its administrator knows), give --audience %s, or once and for all write `audiences: [%s]` into %s (%s)", audience, audience, audience, path, listed)
}
