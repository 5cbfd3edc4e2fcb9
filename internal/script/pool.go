package script

import "sync"

// pool holds the machines of one script that nobody uses now.
type pool struct {
	program *program
	// one is held where all calls share one machine.
	one  sync.Mutex
	mu   sync.Mutex
	idle []*machine
}

// take returns a machine, which the caller alone has until give.
func (p *pool) take() (*machine, error) {
	if p.program.entry.Shared {
		p.one.Lock()
	}
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		m := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return m, nil
	}
	p.mu.Unlock()
	m, err := p.program.newMachine()
	if err != nil && p.program.entry.Shared {
		p.one.Unlock()
	}
	return m, err
}

// put makes a machine free for others.
func (p *pool) put(m *machine) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, m)
}

// give is what follows on take; nil says that the machine is broken.
func (p *pool) give(m *machine) {
	if m != nil {
		p.put(m)
	}
	if p.program.entry.Shared {
		p.one.Unlock()
	}
}
