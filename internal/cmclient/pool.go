package cmclient

import (
	"sync"
)

// Pool keeps one connection for each key, which identifies a CMHost object, and replaces it when what it was made of is
// another version. Nothing that one connection has learned is given to the next but the log head to be continued.
type Pool struct {
	mu    sync.RWMutex
	hosts map[string]*pooled
}

type pooled struct {
	version    string
	connection *Connection // nil while none can be made
	failure    *Failure    // why none can be made
	remembered LogHead
}

// NewPool is an empty pool.
func NewPool() *Pool { return &Pool{hosts: map[string]*pooled{}} }

// Get returns the connection of a key, nil where there is none, and how it stands: not tried while the key is unknown.
func (p *Pool) Get(key string) (*Connection, State) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	host := p.hosts[key]
	switch {
	case host == nil:
		return nil, State{}
	case host.connection == nil:
		return nil, State{Tried: true, Failure: host.failure}
	}
	return host.connection, host.connection.State()
}

// Ensure makes sure that the connection of a key is of this version, and makes it anew with the configuration if not.
func (p *Pool) Ensure(key, version string, config Config) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	host := p.hosts[key]
	if host != nil && host.connection != nil && host.version == version {
		host.connection.AcceptHead(config.AcceptedHead)
		return nil
	}
	if host != nil {
		host.close()
		if host.remembered.Length > config.Remembered.Length {
			config.Remembered = host.remembered
		}
	}
	connection, err := Connect(config)
	if err != nil {
		return err
	}
	p.hosts[key] = &pooled{version: version, connection: connection}
	return nil
}

// Fail ends the connection of a key, because none can be made. It tells whether that is news.
func (p *Pool) Fail(key string, failure *Failure) (news bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	host := p.hosts[key]
	if host == nil {
		host = &pooled{}
		p.hosts[key] = host
	}
	news = host.failure == nil || *host.failure != *failure
	host.close()
	host.version, host.failure = "", failure
	return news
}

// Remove ends the connection of a key and forgets it.
func (p *Pool) Remove(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if host := p.hosts[key]; host != nil {
		host.close()
		delete(p.hosts, key)
	}
}

// Close ends all connections.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, host := range p.hosts {
		host.close()
		delete(p.hosts, key)
	}
}

func (h *pooled) close() {
	if h.connection != nil {
		h.remembered = h.connection.RememberedLog()
		h.connection.Close()
		h.connection = nil
	}
}
