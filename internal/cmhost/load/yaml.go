package load

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	yamlv3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"
)

// readYAML reads a file that holds one document.
func readYAML(path string, into any) error {
	const limit = 16 << 20
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if len(text) > limit {
		return errors.New(path + ": the file has more than 16 MiB")
	}
	if err := decodeYAML(text, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// decodeYAML decodes one document by way of JSON, without changing what is no text into text: a name that YAML reads as
// a number or as true is refused.
func decodeYAML(text []byte, into any) error {
	plain, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return err
	}
	if string(plain) == "null" {
		return errors.New("the file is empty")
	}
	documents := yamlv3.NewDecoder(bytes.NewReader(text))
	if err := documents.Decode(new(yamlv3.Node)); err != nil {
		return err
	}
	if err := documents.Decode(new(yamlv3.Node)); !errors.Is(err, io.EOF) {
		return errors.New("the file has a second document behind a line ---: expected everything in one")
	}
	err = json.Unmarshal(plain, into, json.RejectUnknownMembers(true), json.WithUnmarshalers(asWritten))
	if wrong, ok := errors.AsType[*json.SemanticError](err); ok && wrong.Err != nil {
		return fmt.Errorf("at %s: %w", cmp.Or(wrong.JSONPointer, "/"), wrong.Err)
	}
	return err
}

// asWritten refuses what is no text where text is expected, and what was begun and has nothing in it.
var asWritten = json.JoinUnmarshalers(
	json.UnmarshalFromFunc(func(from *jsontext.Decoder, _ *string) error {
		switch from.PeekKind() {
		case jsontext.KindNumber, jsontext.KindTrue, jsontext.KindFalse, jsontext.KindNull:
			return errors.New("this is no text to YAML but a number, true, false or nothing: put it in quotes")
		}
		return errors.ErrUnsupported // as without this function
	}),
	json.UnmarshalFromFunc(func(from *jsontext.Decoder, _ any) error {
		if from.PeekKind() == jsontext.KindNull {
			return errors.New("there is nothing: write it, write [] for an empty list, or take the name out")
		}
		return errors.ErrUnsupported
	}),
)
