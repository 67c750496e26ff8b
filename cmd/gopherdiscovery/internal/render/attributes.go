package render

import (
	"encoding/binary"
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
	mode, most := old.Mode().Perm(), fs.FileMode(7)
	if !keepOwner(f, old) {
		most = mode & 7
	}
	hasList, err := keepAttributes(f, file, byte(most))
	if err != nil {
		return err
	}
	if !hasList { // with one these bits are not the group's, but the mask of many
		mode &= 0o707 | most<<3
	}
	return f.Chmod(mode)
}

// keepAttributes leaves the group in an access control list at most these bits.
// It returns whether there is a list.
func keepAttributes(f *os.File, file string, most byte) (hasList bool, err error) {
	names, _ := xattr.List(file) // an error says that there are none here
	inherited, _ := xattr.FList(f)
	for _, name := range inherited {
		if !slices.Contains(names, name) {
			_ = xattr.FRemove(f, name)
		}
	}
	for _, name := range names {
		value, err := xattr.Get(file, name)
		if name == accessList {
			hasList = true
			limitGroup(value, most)
		}
		if err == nil {
			err = xattr.FSet(f, name, value)
		}
		if err != nil && name == accessList {
			return false, fmt.Errorf("keep the access control list: %w", err)
		}
	}
	return hasList, nil
}

// limitGroup limits the bits of the file's group in an access control list.
// That is a version of 4 bytes, and entries of a tag and bits, 2 bytes each,
// and an id of 4.
func limitGroup(list []byte, most byte) {
	const groupObject = 4
	for at := 4; at+8 <= len(list); at += 8 {
		if binary.LittleEndian.Uint16(list[at:]) == groupObject {
			list[at+2] &= most
		}
	}
}
