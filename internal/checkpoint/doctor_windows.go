package checkpoint

import "golang.org/x/sys/windows"

// freeBytes is the room that this user has in dir.
func freeBytes(dir string) (room int64, known bool) {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, false
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(name, &free, nil, nil); err != nil {
		return 0, false
	}
	return int64(min(free, 1<<62)), true
}
