//go:build !linux

package main

import "syscall"

// apart puts a part into a process group of its own, so that an interruption at the terminal reaches only this program,
// which then ends the parts in order.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
