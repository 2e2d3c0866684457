package cmhost_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/admission"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/store"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

// fill puts procedures made elsewhere into a store, without judging them.
func fill(t *testing.T, address string, count int) {
	t.Helper()
	opened, err := store.Open(t.Context(), address, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = opened.Close() }()
	const batch = 2000
	for from := 0; from < count; from += batch {
		err := opened.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			for i := from; i < from+batch; i++ {
				p := signingtest.Procedure(fmt.Sprintf("Procedure %06d", i))
				entry := cmhostv1.LogEntry{
					Time: time.Now().UTC(), Kind: cmhostv1.ChangeKindTokenProcedure, Name: p.Name, Action: cmhostv1.LogEntryActionImported,
					Object: map[string]any{"name": p.Name, "state": request.Active, "storageProfile": p.StorageProfile},
				}
				if err := tx.PutProcedure(ctx, entry, admission.Summarize(p), ""); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestAHundredThousandProceduresAreListedInConstantMemory pages through all of them; client and host are in this process.
func TestAHundredThousandProceduresAreListedInConstantMemory(t *testing.T) {
	const count, limit, most = procedures, 500, 8 << 20
	onEachDatabase(t, func(t *testing.T, address string) {
		host := start(t, address)
		fill(t, address, count)
		var first, highest uint64
		after, seen, last := "", 0, ""
		for page := 0; ; page++ {
			size := limit
			got, err := host.client.ListTokenProceduresWithResponse(t.Context(), &cmhostv1.ListTokenProceduresParams{After: &after, Limit: &size})
			if err != nil || got.JSON200 == nil {
				t.Fatalf("%v %+v", err, got)
			}
			for _, item := range got.JSON200.Items {
				if item.Name <= last {
					t.Fatalf("%q after %q", item.Name, last)
				}
				last = item.Name
				seen++
			}
			if page%5 == 4 {
				used := heapInUse()
				if first == 0 {
					first = used
				}
				highest = max(highest, used)
			}
			if after = got.JSON200.Next; after == "" {
				break
			}
		}
		if seen != count {
			t.Errorf("%d procedures listed; want %d", seen, count)
		}
		if highest > first+most {
			t.Errorf("memory in use grew from %d to %d bytes", first, highest)
		}
		t.Logf("memory in use: %d KiB after 5 pages, at most %d KiB", first>>10, highest>>10)
	})
}

func heapInUse() uint64 {
	runtime.GC()
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	return now.HeapAlloc
}

// TestOrderIsThatOfCodePointsWhateverTheDatabaseCollates uses a PostgreSQL database whose own order is that of English.
func TestOrderIsThatOfCodePointsWhateverTheDatabaseCollates(t *testing.T) {
	address := newPostgres(t, "TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'")
	host := start(t, address)
	names := []string{"a", "B", "Ä", "z", "Ａ", "𐐀"}
	for _, name := range names {
		host.accept(t, 1, signingtest.Procedure(name))
	}
	got, err := host.client.ListTokenProceduresWithResponse(t.Context(), &cmhostv1.ListTokenProceduresParams{})
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, item := range got.JSON200.Items {
		found = append(found, item.Name)
	}
	slices.Sort(names)
	if !slices.Equal(found, names) {
		t.Errorf("listed %q; want %q", found, names)
	}
}
