package sp

// A Bell wakes a goroutine. Rings that the goroutine has not noticed yet count
// as one, so it must look at everything that is new.
type Bell chan struct{}

// NewBell returns a bell that has not rung.
func NewBell() Bell { return make(Bell, 1) }

// Ring rings the bell. It never blocks.
func (b Bell) Ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}
