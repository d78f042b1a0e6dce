package main

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"
)

func TestDoctorAcceptsClocksThatDifferLittle(t *testing.T) {
	for skew, accepted := range map[time.Duration]bool{0: true, time.Second: true, -time.Second: true, 5 * time.Second: false, -time.Hour: false} {
		if err := compareClock(time.Now().Add(skew)); (err == nil) != accepted {
			t.Errorf("%s: %v", skew, err)
		}
	}
}

func TestDoctorReportsMissingMailRecords(t *testing.T) {
	const spf, dmarc = "v=spf1 include:mail.example -all", "v=DMARC1; p=reject"
	for name, c := range map[string]struct {
		records map[string][]string
		fails   error
		want    string
	}{
		"both":          {map[string][]string{"shop.example": {"other", spf}, "_dmarc.shop.example": {dmarc}}, nil, "ok: SPF and DMARC are there; DKIM shows in the headers of a mail of --send-test"},
		"no SPF":        {map[string][]string{"shop.example": {"other"}, "_dmarc.shop.example": {dmarc}}, nil, "WARN DNS has no record of SPF, so mail may be refused or end as spam"},
		"neither":       {nil, nil, "WARN DNS has no record of SPF and DMARC, so mail may be refused or end as spam"},
		"DNS is silent": {nil, errors.New("time-out"), "ok: SPF and DMARC are not checked, because DNS does not answer"},
	} {
		lookup := func(_ context.Context, host string) ([]string, error) {
			if texts := c.records[host]; texts != nil || c.fails != nil {
				return texts, c.fails
			}
			return nil, &net.DNSError{IsNotFound: true}
		}
		if got := checkMailDomain(t.Context(), lookup, "name", "shop.example"); len(got) != 1 || got[0].outcome() != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
