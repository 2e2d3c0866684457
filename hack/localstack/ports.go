package main

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// freePorts finds ports on loopback that nobody uses. They lie below those that systems hand out to outgoing connections,
// so that nobody takes the port of a part that was killed before it is started again.
func freePorts(count int) ([]string, error) {
	var ports []string
	taken := map[string]bool{}
	for range 1000 {
		if len(ports) == count {
			return ports, nil
		}
		port := strconv.Itoa(15000 + rand.IntN(15000))
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
		if err != nil || taken[port] {
			continue
		}
		if err := listener.Close(); err != nil {
			return nil, err
		}
		taken[port] = true
		ports = append(ports, port)
	}
	return nil, errors.New("no free ports between 15000 and 30000 on 127.0.0.1")
}
