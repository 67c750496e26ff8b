package render

import (
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/pkg/xattr"
)

// accessList is the attribute in which Linux keeps the access control list of a
// file.
const accessList = "system.posix_acl_access"

// keep gives a new file the mode, the owner and the extended attributes of an
// old one, each where that is allowed. It never lets anyone read or write the
// new file who could not do so with the old one: the access control list must
// be kept, and a group that is not that of the old file gets what all others
// get.
func keep(f *os.File, file string, old fs.FileInfo) error {
	mode := old.Mode().Perm()
	if !keepOwner(f, old) {
		mode &^= 0o070 &^ (mode & 0o007 << 3)
	}
	if err := keepAttributes(f, file); err != nil {
		return err
	}
	return f.Chmod(mode) // last: with a list the bits of the group are its mask
}

func keepAttributes(f *os.File, file string) error {
	names, _ := xattr.List(file) // an error says that there are none here
	inherited, _ := xattr.FList(f)
	for _, name := range inherited {
		if !slices.Contains(names, name) {
			_ = xattr.FRemove(f, name)
		}
	}
	for _, name := range names {
		value, err := xattr.Get(file, name)
		if err == nil {
			err = xattr.FSet(f, name, value)
		}
		if err != nil && name == accessList {
			return fmt.Errorf("keep the access control list: %w", err)
		}
	}
	return nil
}
