package testkit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// dockerEngine tells whether a docker engine answers.
func dockerEngine(ctx context.Context) error {
	docker, err := exec.LookPath("docker")
	if err != nil {
		return errors.New("no docker on the PATH")
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, docker, "info", "--format", "{{.ServerVersion}}").CombinedOutput(); err != nil {
		return fmt.Errorf("no engine answers: %w: %s", err, lastLine(out))
	}
	return nil
}

// inDocker wraps a command of an image: host network, so that ports mean the
// same inside and outside, the mounted folders at their own paths, our user.
func inDocker(c command, name, image string, env map[string]string, mounts []string, args []string) command {
	c.path = "docker"
	c.args = []string{"run", "--rm", "--name", name, "--network", "host", "--user", strconv.Itoa(os.Getuid()) + ":" + strconv.Itoa(os.Getgid())}
	for k, v := range env {
		c.args = append(c.args, "-e", k+"="+v)
	}
	for _, m := range mounts {
		c.args = append(c.args, "-v", m+":"+m)
	}
	c.args = append(append(c.args, image), args...)
	c.kill = func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		_ = exec.CommandContext(ctx, "docker", "rm", "-f", name).Run()
	}
	return c
}
