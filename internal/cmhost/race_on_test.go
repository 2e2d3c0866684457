//go:build race

package cmhost_test

// procedures is smaller under the race detector, which is about goroutines and not about numbers.
const procedures = 10_000
