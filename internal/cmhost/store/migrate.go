package store

import (
	"context"
	"fmt"

	"github.com/pressly/goose/v3"
)

// migrate brings the schema forward to what this program knows. Several programs may do so at the same time.
func (s *Store) migrate(ctx context.Context) error {
	const attempts = 5
	var err error
	for attempt := range attempts {
		if err = s.migrateOnce(ctx); err == nil || !s.dialect.again(err) {
			return err
		}
		pause(ctx, attempt)
	}
	return err
}

func (s *Store) migrateOnce(ctx context.Context) error {
	files, err := s.dialect.migrations()
	if err != nil {
		return err
	}
	options, err := s.dialect.options()
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(s.dialect.goose, s.writer, files, options...)
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	found, known, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	if found > known {
		return fmt.Errorf("the database has schema version %d, this program knows versions up to %d: use the newer cmhost that wrote it, or restore a backup from before the upgrade", found, known)
	}
	if found == known {
		return nil
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("bring the schema from version %d to %d: %w", found, known, err)
	}
	s.options.Log.InfoContext(ctx, "schema brought forward", "from", found, "to", known)
	return nil
}
