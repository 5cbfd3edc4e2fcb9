package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"sluice/internal/app"
	"sluice/internal/config"
	"sluice/internal/flow"
)

type doctorCmd struct {
	configFile
	jsonFlag
	Flow string `help:"Only this flow, and nothing of the archive." placeholder:"NAME"`
}

// Run looks whether the configuration can work, and tells what is in the way.
func (d *doctorCmd) Run(ctx context.Context, out stdio) error {
	cfg, err := config.Load(d.Config, config.Overrides{})
	if err != nil {
		return err
	}
	// What is tried is cleaned up also when somebody loses patience.
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	found, err := app.Doctor(ctx, app.DoctorOptions{Config: cfg, Flow: d.Flow})
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return errCut
	}
	if err := tell(out, d.JSON, found, diagnosisText(found)); err != nil {
		return err
	}
	if !found.Sound {
		return errDiffers
	}
	return nil
}

// diagnosisText tells the problems with their cures, then what is sound, then
// the sum.
func diagnosisText(d app.Diagnosis) string {
	var b strings.Builder
	count := map[flow.Severity]int{}
	var sound []string
	for _, f := range d.Findings {
		count[f.Severity]++
		if f.Severity == flow.FindingOK {
			sound = append(sound, findingText(f))
			continue
		}
		b.WriteString(findingText(f) + "\n")
	}
	for _, line := range sound {
		b.WriteString(line)
	}
	b.WriteString("\n" + sumText(count))
	return b.String()
}

func findingText(f flow.Finding) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-8s %s: %s", f.Severity, f.Check, indented(f.What))
	if f.Severity == flow.FindingOK && f.Object != "" && !strings.Contains(f.What, f.Object) {
		b.WriteString(" (" + f.Object + ")")
	}
	b.WriteString("\n")
	if f.Severity == flow.FindingOK {
		return b.String()
	}
	for _, part := range [][2]string{{"at", f.Object}, {"cause", f.Cause}, {"cure", f.Cure}} {
		if part[1] != "" && (part[0] != "at" || !strings.Contains(f.What, part[1])) {
			fmt.Fprintf(&b, "         %-6s %s\n", part[0]+":", indented(part[1]))
		}
	}
	return b.String()
}

// indented keeps the lines of a text below its first.
func indented(s string) string {
	return strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n                ")
}

func sumText(count map[flow.Severity]int) string {
	errs, warnings := count[flow.FindingError], count[flow.FindingWarning]
	switch {
	case errs > 0:
		return fmt.Sprintf("%d errors, %d warnings, %d checks passed: it can't work as it is", errs, warnings, count[flow.FindingOK])
	case warnings > 0:
		return fmt.Sprintf("%d warnings, %d checks passed: it can run", warnings, count[flow.FindingOK])
	}
	return fmt.Sprintf("%d checks passed: all is sound", count[flow.FindingOK])
}
