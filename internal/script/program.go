package script

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/dop251/goja"
	"github.com/dop251/goja/file"
	"github.com/dop251/goja/parser"
)

// maxMessage is how much of what a script throws is told.
const maxMessage = 500

// program is one script, compiled.
type program struct {
	entry    Entry
	compiled *goja.Program
	timeout  time.Duration
	opts     *settings
	pool     pool
	// silent is set when a map returned nothing, which is told once.
	silent atomic.Bool
}

// compile reads a script. An error tells its line.
func compile(e Entry, o *settings) (*program, error) {
	p := &program{entry: e, opts: o, timeout: e.Timeout}
	if p.timeout <= 0 {
		p.timeout = DefaultTimeout
	}
	// The head stands on the first line, so that lines are those of the file.
	src := "(function (module, exports, require) {" + strings.TrimPrefix(e.Code, "\ufeff") + "\n})"
	ast, err := parser.ParseFile(nil, e.Name, src, 0, parser.WithDisableSourceMaps)
	if err != nil {
		return nil, syntaxError(e.Name, err)
	}
	if p.compiled, err = goja.CompileAST(ast, false); err != nil {
		return nil, err
	}
	p.pool.program = p
	m, err := p.newMachine() // so that what it does when it is read is known to work
	if err != nil {
		return nil, err
	}
	p.pool.put(m)
	return p, nil
}

// syntaxError tells where a script can't be read.
func syntaxError(name string, err error) error {
	var list parser.ErrorList
	if errors.As(err, &list) && len(list) > 0 {
		return fmt.Errorf("%s:%d:%d: %s", name, list[0].Position.Line, list[0].Position.Column, list[0].Message)
	}
	return err
}

// failure is an error of a script at its place.
type failure struct {
	at      string
	message string
	cut     bool
}

func (f *failure) Error() string {
	if f.at == "" {
		return f.message
	}
	return f.at + ": " + f.message
}

// describe turns an error of the engine into one with the line of the script.
func (m *machine) describe(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	out := &failure{cut: m.capped}
	var stack []goja.StackFrame
	var late *goja.InterruptedError
	var deep *goja.StackOverflowError
	var thrown *goja.Exception
	switch {
	case errors.As(err, &late):
		out.message, out.cut, stack = fmt.Sprint(late.Value()), true, late.Stack()
	case errors.As(err, &deep):
		out.message, out.cut, stack = fmt.Sprintf("cut: calls go deeper than %d", maxDepth), true, deep.Stack()
	case errors.As(err, &thrown):
		out.message, stack = m.messageOf(thrown), thrown.Stack()
	default:
		out.message = err.Error()
	}
	if len(out.message) > maxMessage {
		out.message = strings.ToValidUTF8(out.message[:maxMessage], "") + " …"
	}
	var at file.Position
	for _, s := range stack {
		if s.SrcName() == m.entry.Name {
			at = s.Position()
			out.at = fmt.Sprintf("%s:%d:%d", m.entry.Name, at.Line, at.Column)
			break
		}
	}
	return out
}

// messageOf is what was thrown as text; an object may have a toString that throws.
func (m *machine) messageOf(e *goja.Exception) (text string) {
	defer func() {
		if recover() != nil {
			text = "an exception"
		}
	}()
	if e.Value() == nil {
		return e.Error()
	}
	if again := m.rt.Try(func() { text = e.Value().String() }); again != nil {
		text = "an exception"
	}
	return text
}
