package app

import (
	"testing"
	"testing/fstest"
)

func TestContainerMemory(t *testing.T) {
	f := func(name string, want int64, files map[string]string) {
		t.Helper()
		root := fstest.MapFS{}
		for path, text := range files {
			root[path] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := containerMemory(root); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
	f("no such groups", 0, nil)
	f("a container", 256<<20, map[string]string{
		"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "268435456\n",
	})
	f("a container that sees the path of its host", 256<<20, map[string]string{
		"proc/self/cgroup": "0::/kubepods.slice/pod1/abc\n", "sys/fs/cgroup/memory.max": "268435456\n",
	})
	f("a host", 0, map[string]string{
		"proc/self/cgroup": "0::/user.slice/session\n", "sys/fs/cgroup/user.slice/session/memory.max": "max\n",
	})
	f("the limit of the slice above", 100<<20, map[string]string{
		"proc/self/cgroup": "0::/system.slice/sluice.service\n",
		"sys/fs/cgroup/system.slice/sluice.service/memory.max": "max\n",
		"sys/fs/cgroup/system.slice/memory.max":                "104857600\n",
	})
	f("the least of several", 50<<20, map[string]string{
		"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "104857600\n", "sys/fs/cgroup/a/memory.max": "52428800\n",
	})
	f("version 1", 64<<20, map[string]string{
		"proc/self/cgroup":                           "5:devices:/x\n4:cpu,memory:/docker/abc\n0::/\n",
		"sys/fs/cgroup/memory/memory.limit_in_bytes": "67108864\n",
	})
	f("version 1 without a limit", 0, map[string]string{
		"proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
	})
	f("what is no number", 0, map[string]string{
		"proc/self/cgroup": "0::/\nnonsense\n\n", "sys/fs/cgroup/memory.max": "-1\n",
	})
	f("a path that leads out", 0, map[string]string{"proc/self/cgroup": "0::/../../etc\n"})
}

func TestCollectorLimit(t *testing.T) {
	f := func(queues, container, want int64) {
		t.Helper()
		if got := collectorLimit(queues, container); got != want {
			t.Errorf("queues %d, container %d: %d, want %d", queues, container, got, want)
		}
	}
	f(32<<20, 0, 48<<20)
	f(32<<20, 1000<<20, 48<<20)
	f(1<<30, 500<<20, 450<<20)
}
