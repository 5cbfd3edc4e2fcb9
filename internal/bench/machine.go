package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// machine tells cores, memory and processor, without names or addresses.
func machine() string {
	text := fmt.Sprintf("%d cores", runtime.NumCPU())
	if kib, err := strconv.Atoi(strings.TrimSuffix(fieldOf("/proc/meminfo", "MemTotal"), " kB")); err == nil {
		text += fmt.Sprintf(", %.0f GiB", float64(kib)/(1<<20))
	}
	if model := fieldOf("/proc/cpuinfo", "model name"); model != "" {
		text += ", " + model
	}
	return text
}

// fieldOf returns the first value of a "name: value" line of a file; "" without one.
func fieldOf(path, name string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// peakMiB is the high-water mark of our resident memory. The figure that wait4
// returns is of no use: it begins with that of the process that started us.
func peakMiB() float64 {
	kib, err := strconv.Atoi(strings.TrimSuffix(fieldOf("/proc/self/status", "VmHWM"), " kB"))
	if err != nil {
		return 0
	}
	return float64(kib) / 1024
}

// cpuOf returns the CPU seconds that a process has used, 0 without a process.
func cpuOf(pid int) float64 {
	if pid == 0 {
		return 0
	}
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	// The name in parentheses may hold blanks; user and system time are the
	// 14th and 15th field (proc(5)), in ticks of 10 ms.
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0
	}
	user, err1 := strconv.ParseFloat(f[11], 64)
	system, err2 := strconv.ParseFloat(f[12], 64)
	if err1 != nil || err2 != nil {
		return 0
	}
	return (user + system) / 100
}
