package main

import "syscall"

// apart puts a part into a process group of its own, so that an interruption at the terminal reaches only this program,
// which then ends the parts in order; and has the kernel end a part whose parent was killed.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
