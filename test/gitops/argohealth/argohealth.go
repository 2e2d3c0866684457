// Package argohealth evaluates the health checks for Argo CD with a real Lua engine, the one that Argo CD uses.
package argohealth

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Health is what Argo CD shows of an object.
type Health struct {
	Status, Message string
}

// Scripts are the files of the health checks by kind.
var Scripts = map[string]string{
	"TokenProcedure": "tokenprocedure.lua", "ProcedureSignature": "proceduresignature.lua", "CMHost": "cmhost.lua",
}

// Of runs the script of the object's kind as Argo CD does: with the object in the global obj and no libraries that reach outside.
func Of(folder string, object *unstructured.Unstructured) (Health, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable, lua.StringLibName: lua.OpenString} {
		state.Push(state.NewFunction(open))
		state.Push(lua.LString(name))
		state.Call(1, 0)
	}
	// Through JSON, as an object from an API server is: numbers are floats.
	content, err := json.Marshal(object.Object)
	if err != nil {
		return Health{}, err
	}
	var decoded any
	if err := json.Unmarshal(content, &decoded); err != nil {
		return Health{}, err
	}
	state.SetGlobal("obj", toLua(state, decoded))
	if err := state.DoFile(filepath.Join(folder, Scripts[object.GetKind()])); err != nil {
		return Health{}, err
	}
	table, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return Health{}, fmt.Errorf("expected the script to return a table, found %v", state.Get(-1))
	}
	return Health{Status: table.RawGetString("status").String(), Message: table.RawGetString("message").String()}, nil
}

func toLua(state *lua.LState, value any) lua.LValue {
	switch v := value.(type) {
	case map[string]any:
		table := state.NewTable()
		for key, item := range v {
			table.RawSetString(key, toLua(state, item))
		}
		return table
	case []any:
		table := state.NewTable()
		for _, item := range v {
			table.Append(toLua(state, item))
		}
		return table
	case string:
		return lua.LString(v)
	case float64:
		return lua.LNumber(v)
	case bool:
		return lua.LBool(v)
	}
	return lua.LNil
}
