package watchword

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// validateVerification checks the request of a start and returns the methods that it asks for, in its order. A method whose
// address is refused for good is left out; if none is left, the refusal is the error.
func (e *Engine) validateVerification(req VerificationRequest) ([]verificationMethod, error) {
	var fields []FieldError
	refuse := func(bad bool, field, reason string) {
		if bad && !slices.Contains(fields, FieldError{field, reason}) {
			fields = append(fields, FieldError{field, reason})
		}
	}
	refuse(len(req.Methods) == 0 || len(req.Methods) > maxMethods, "methods", fmt.Sprintf("needs 1 to %d methods", maxMethods))
	refuse(req.Purpose == PurposeEnrol, "purpose", "an enrolment is a challenge and no verification")
	refuse(!slices.Contains([]OpenChoice{"", OpenAuto, OpenFirst, OpenNone}, req.Open), "open", "is auto, first or none")
	refuse(!slices.Contains([]Requirement{"", RequireAny, RequireMFA, RequirePhishingResistant}, req.Require), "require", "is any, mfa or phishing_resistant")
	refuse(req.Fallback != 0 && (req.Fallback < minFallbackTime || req.Fallback > maxFallbackTime), "fallback.after",
		fmt.Sprintf("is %.0f to %.0f seconds", minFallbackTime.Seconds(), maxFallbackTime.Seconds()))
	marked := 0
	for i, m := range req.Methods {
		for _, f := range e.invalidMethodFields(req, i) {
			refuse(true, f.Field, f.Reason)
		}
		refuse(slices.Contains(req.Methods[:i], m), methodField(i, "strategy"), "is the same method as another one")
		if m.Fallback {
			marked++
		}
	}
	refuse(req.Fallback != 0 && marked != 1, "methods", "exactly one of them has fallback")
	refuse(req.Fallback == 0 && marked > 0, "fallback", "is required if a method has fallback")
	if len(fields) > 0 {
		return nil, &Error{Code: ErrInvalidRequest.Code, Fields: fields}
	}
	return e.addressMethods(req)
}

// methodField returns the name of a method's field in errors.
func methodField(i int, field string) string { return fmt.Sprintf("methods.%d.%s", i, field) }

// invalidMethodFields returns the invalid fields of one method, and those of the request that its strategy refuses.
func (e *Engine) invalidMethodFields(req VerificationRequest, i int) []FieldError {
	s := e.strategies[req.Methods[i].Strategy]
	if s == nil {
		return []FieldError{{methodField(i, "strategy"), notListed("offers", e.strategies)}}
	}
	if _, trusts := s.(DeviceTruster); trusts {
		return []FieldError{{methodField(i, "strategy"), "is no method: send the token of the device as device_token"}}
	}
	fields := e.invalidFields(req.startRequest(req.Methods[i], s), s)
	for n, f := range fields {
		switch f.Field {
		case "channel", "to", "factor":
			fields[n].Field = methodField(i, f.Field)
		}
	}
	return fields
}

// startRequest returns the start that a method stands for.
func (r *VerificationRequest) startRequest(m MethodRequest, s Strategy) StartRequest {
	if m.Channel == "" && m.To != "" {
		m.Channel = s.Properties().Channel
	}
	return StartRequest{Strategy: m.Strategy, Purpose: r.Purpose, Subject: r.Subject, Channel: m.Channel, To: m.To, Locale: r.Locale,
		ReturnURL: r.ReturnURL, Nonce: r.Nonce, Factor: m.Factor, Transaction: r.Transaction, Metadata: r.Metadata, Client: r.Client}
}

// addressMethods returns the methods with their canonical addresses. Without a subject, either all methods have the same address
// or none has one: somebody else's key must not answer for an address.
func (e *Engine) addressMethods(req VerificationRequest) (out []verificationMethod, refused error) {
	first := "" // the address of the first method; empty: it has none
	for i, m := range req.Methods {
		s := e.strategies[m.Strategy]
		start := req.startRequest(m, s)
		method := verificationMethod{ID: fmt.Sprintf("m%d", i+1), Strategy: m.Strategy, Channel: start.Channel, Factor: m.Factor, Ask: s.Properties().Ask}
		var to Address
		var err error
		if s.Properties().SendsMessages {
			to, err = e.addressOf(start.Channel, m.To)
		}
		isRefused := errors.Is(err, ErrDestinationRefused)
		if err != nil && !isRefused {
			return nil, methodError(i, err)
		}
		if i == 0 {
			first = to.Value
		}
		if req.Subject == "" && to.Value != first { // also if the address is refused
			return nil, invalid(methodField(i, "to"), "is the same for all methods if there is no subject")
		}
		if isRefused {
			refused = err
			continue
		}
		method.Address, method.SentTo, method.Kind = to.Value, to.Masked, to.Kind
		if !req.Decoy {
			method.Prefix = to.Prefix
		}
		out = append(out, method)
	}
	if len(out) == 0 {
		return nil, refused
	}
	return out, nil
}

// methodError returns the error of an address policy with the fields of a method.
func methodError(i int, err error) error {
	var refusal *Error
	if !errors.As(err, &refusal) || refusal.Code != ErrInvalidRequest.Code {
		return err
	}
	out := &Error{Code: refusal.Code}
	for _, f := range refusal.Fields {
		out.Fields = append(out.Fields, FieldError{methodField(i, f.Field), f.Reason})
	}
	return out
}

// offeredMethods returns those methods that meet the requirement and, if they need a factor, for which the subject has an active
// one. ErrNotEnrolled if none is left. For a decoy the factors are invented: whether a strategy is offered depends on the app, the
// subject and the strategy alone, so that it is the same in each verification.
func (e *Engine) offeredMethods(ctx context.Context, req VerificationRequest, methods []verificationMethod) ([]verificationMethod, error) {
	methods = slices.DeleteFunc(methods, func(m verificationMethod) bool {
		return !req.Require.canBeMet(e.strategies[m.Strategy].Properties())
	})
	needsFactor := func(m verificationMethod) bool {
		_, enrols := e.strategies[m.Strategy].(Enroller)
		return enrols && req.Subject != ""
	}
	if len(methods) == 0 {
		return nil, ErrNotEnrolled
	}
	if !slices.ContainsFunc(methods, needsFactor) {
		return methods, nil
	}
	factors, err := e.env.factors.list(ctx, req.Subject, "") // also for a decoy, which takes as long
	if err != nil {
		return nil, factorError(err)
	}
	offered := slices.Clone(methods)
	offered = slices.DeleteFunc(offered, func(m verificationMethod) bool {
		if req.Decoy {
			return needsFactor(m) && e.decoyRank(req.Subject, m.Strategy)%2 == 1
		}
		return needsFactor(m) && !slices.ContainsFunc(factors, func(f Factor) bool { return f.answers(m) })
	})
	if len(offered) == 0 && req.Decoy {
		offered = append(offered, slices.MinFunc(methods, func(a, b verificationMethod) int {
			return int(e.decoyRank(req.Subject, a.Strategy)) - int(e.decoyRank(req.Subject, b.Strategy))
		}))
	}
	if len(offered) == 0 {
		return nil, ErrNotEnrolled
	}
	return offered, nil
}

// decoyRank returns a number of 16 bits that decides whether a decoy offers a strategy.
func (e *Engine) decoyRank(subject, strategy string) uint16 {
	sum := e.identity.tags.sum("decoy method", e.cfg.App, subject, strategy)
	return binary.BigEndian.Uint16(sum[:])
}

// answers reports whether a factor can answer a method. One whose key is missing may.
func (f *Factor) answers(m verificationMethod) bool {
	return f.Strategy == m.Strategy && (m.Factor == "" || m.Factor == f.ID) && (!f.Disabled || f.missingKey != nil)
}

// canBeMet reports whether answers to a strategy can meet the requirement.
func (r Requirement) canBeMet(props StrategyProperties) bool {
	switch r {
	case RequireMFA:
		return props.MultiFactor
	case RequirePhishingResistant:
		return props.PhishingResistant
	}
	return true
}

// isMetBy reports whether a right answer to a strategy has met the requirement.
func (r Requirement) isMetBy(props StrategyProperties, amr []string) bool {
	return r.canBeMet(props) && (r != RequireMFA || slices.Contains(amr, "mfa"))
}
