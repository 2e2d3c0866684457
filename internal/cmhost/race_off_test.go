//go:build !race

package cmhost_test

// procedures are listed page by page in constant memory.
const procedures = 100_000
