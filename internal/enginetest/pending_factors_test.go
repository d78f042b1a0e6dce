package enginetest_test

import (
	"context"
	"testing"

	"github.com/watchword-auth/watchword"
)

// gatedFactors is a factor store where Create of a factor blocks until the gate opens; the entries of sets do not block.
type gatedFactors struct {
	watchword.Factors
	arrived, open chan struct{}
}

func (s *gatedFactors) Create(ctx context.Context, f watchword.SealedFactor) error {
	if f.Strategy != "factor_set" {
		s.arrived <- struct{}{}
		<-s.open
	}
	return s.Factors.Create(ctx, f)
}

// A factor that is being created counts as enrolled: a concurrent enrolment needs a proof.
func TestPendingFactorCountsAsEnrolled(t *testing.T) {
	k := newEnrolmentKit(t)
	slow := &gatedFactors{k.config.Factors, make(chan struct{}), make(chan struct{})}
	node := k.newNode(func(c *watchword.Config) { c.Factors = slow })
	first, second := k.beginEnrolment("weak", subject, watchword.Authority{}), k.beginEnrolment("strong", subject, watchword.Authority{})
	added := make(chan error, 1)
	go func() { _, err := check(node, first, "x", forEnrolment); added <- err }()
	<-slow.arrived
	_, err := k.check(second, "x", forEnrolment)
	k.requireCode(err, watchword.ErrProofRequired)
	_, err = k.Start(t.Context(), watchword.StartRequest{Strategy: "strong", Purpose: "enrol", Subject: subject})
	k.requireCode(err, watchword.ErrProofRequired)
	k.requireCode(k.RemoveSubject(t.Context(), subject, watchword.Authority{}), watchword.ErrProofRequired)
	close(slow.open)
	if err := <-added; err != nil {
		t.Error(err)
	}
}

// If the subject is removed while its factor is being created, the factor is removed too.
func TestPendingFactorIsRemovedWithItsSubject(t *testing.T) {
	k := newEnrolmentKit(t)
	slow := &gatedFactors{k.config.Factors, make(chan struct{}), make(chan struct{})}
	node := k.newNode(func(c *watchword.Config) { c.Factors = slow })
	id := k.beginEnrolment("weak", subject, watchword.Authority{})
	added := make(chan error, 1)
	go func() { _, err := check(node, id, "x", forEnrolment); added <- err }()
	<-slow.arrived
	if err := k.RemoveSubject(t.Context(), subject, watchword.Authority{Admin: true}); err != nil {
		t.Fatal(err)
	}
	close(slow.open)
	k.requireCode(<-added, watchword.ErrProofRequired)
	if all, err := k.ListFactors(t.Context(), subject); err != nil || len(all) != 0 {
		t.Errorf("%d factors, %v", len(all), err)
	}
}
