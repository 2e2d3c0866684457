package audit

import (
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Read calls visit with each entry of a file: either entries one after the other (JSON lines, as `cmhost export` writes
// them), or pages with `items` (as GET /v1/log answers), also several.
func Read(from io.Reader, visit func(entry []byte) error) error {
	decoder := jsontext.NewDecoder(from)
	for {
		value, err := decoder.ReadValue() // refuses a member that is there twice, at any depth
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the log is not JSON: %w", err)
		}
		if err := visitValue(value, visit); err != nil {
			return err
		}
	}
}

// visitValue visits one entry, or each of a page or a list.
func visitValue(value jsontext.Value, visit func(entry []byte) error) error {
	var list []jsontext.Value
	if json.Unmarshal(value, &list) != nil {
		var page struct {
			Items *[]jsontext.Value `json:"items"`
		}
		if err := json.Unmarshal(value, &page); err != nil {
			return fmt.Errorf("expected an entry of the log or a page of entries: %w", err)
		}
		if page.Items == nil {
			return visit(value)
		}
		list = *page.Items
	}
	for _, entry := range list {
		if err := visit(entry); err != nil {
			return err
		}
	}
	return nil
}
