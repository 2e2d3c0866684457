package store

import (
	"context"
	"errors"
	"fmt"
)

// errNewerSchema says that the database is ahead of this program.
var errNewerSchema = errors.New("use the newer cmhost that wrote it, or restore a backup from before the upgrade")

// migrate brings the schema forward to what this program knows. Several programs may do so at the same time: on SQLite
// all but one of them fail, and find it done when they look again.
func (s *Store) migrate(ctx context.Context) error {
	const attempts = 5
	var err error
	for attempt := range attempts {
		if err = s.migrateOnce(ctx); err == nil || errors.Is(err, errNewerSchema) || ctx.Err() != nil {
			return err
		}
		pause(ctx, attempt+1)
	}
	return err
}

func (s *Store) migrateOnce(ctx context.Context) error {
	provider, err := s.dialect.provider(s.writer)
	if err != nil {
		return err
	}
	found, known, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	if found > known {
		return fmt.Errorf("the database has schema version %d, this program knows versions up to %d: %w", found, known, errNewerSchema)
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
