package main

import (
	"encoding/binary"
	"fmt"
	"time"
)

// maxSurvey is the longest survey: 8 words of devices, and the id.
const maxSurvey = 9 * 4

// respondent is a light peer's connection to the survey address.
type respondent struct {
	*link
	name string
}

// announce connects a respondent. The server learns its name once run is
// called.
func announce(addr, name string) (*respondent, error) {
	l, err := dial(addr, headerLen+maxSurvey, protoRespondent)
	if err != nil {
		return nil, err
	}
	return &respondent{l, name}, nil
}

// run answers surveys until the connection ends.
func (r *respondent) run() error {
	if err := r.SetReadDeadline(time.Now().Add(handshakeTime)); err != nil {
		return err
	}
	if err := r.awaitHello(protoSurveyor); err != nil {
		return err
	}
	if err := r.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	answer := make([]byte, 0, headerLen+maxSurvey+len(r.name))
	for {
		n, err := r.next()
		if err != nil {
			return err
		}
		if n > maxSurvey {
			return fmt.Errorf("a survey of %d bytes", n)
		}
		survey, err := r.read(n)
		if err != nil {
			return err
		}
		id := idEnd(survey)
		if id == 0 {
			continue
		}
		answer = binary.BigEndian.AppendUint64(answer[:0], uint64(id+len(r.name)))
		answer = append(append(answer, survey[:id]...), r.name...)
		if _, err := r.Write(answer); err != nil {
			return err
		}
	}
}

// idEnd returns where the id of a survey ends, or 0 if it has none.
func idEnd(survey []byte) int {
	for at := 0; at+4 <= len(survey); at += 4 {
		if survey[at] >= 0x80 {
			return at + 4
		}
	}
	return 0
}
