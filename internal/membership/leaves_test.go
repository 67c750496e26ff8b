package membership

import "testing"

func TestGoodbye(t *testing.T) {
	for _, test := range []played{
		{"one", 10, Config{}, "11000 leave 3", []string{"11000 -3"}},
		{"the only one", 1, Config{}, "11000 leave 0", []string{"11000 -0"}},
		{"most together", 10, Config{}, "11000 leave 0-6", []string{"11000 -0 -1 -2 -3 -4 -5 -6"}},
		{"all together", 4, Config{}, "11000 leave 0-3", []string{"11000 -0 -1 -2 -3"}},
		{
			"all, one after the other", 4, Config{}, "11000 leave 0; 11001 leave 1; 11002 leave 2; 11003 leave 3",
			[]string{"11000 -0", "11001 -1", "11002 -2", "11003 -3"},
		},
		{
			"not gathered with ends", 10, Config{}, "11000 break 0; 11010 leave 1; 11015 break 2; 11016 leave 3",
			[]string{"11010 -1", "11016 -3", "11115 -0 -2"},
		},
		{
			"after a mass departure", 10, Config{}, "11000 break 0-6; 11010 leave 7; 12000 leave 8",
			[]string{"11010 -7", "12000 -8", "16000 -0 -1 -2 -3 -4 -5 -6"},
		},
		{"just after a stop", 10, Config{}, "11000 stop 900; 11900 leave 3", []string{"11900 -3"}},
		{"back and gone again", 10, Config{}, "11000 break 3; 11010 join 3; 11015 leave 3", []string{"11015 -3"}},
		// If they counted, these would be 8 of 10, and all of 2.
		{"no ends that count", 10, Config{}, "11000 leave 0-5; 11100 break 6 7", []string{"11000 -0 -1 -2 -3 -4 -5", "11200 -6 -7"}},
		{"no end that counts, of all", 2, Config{}, "11000 leave 0; 11100 break 1", []string{"11000 -0", "11120 -1"}},
	} {
		test.run(t)
	}
}

func TestSingleEnd(t *testing.T) {
	for _, test := range []played{
		{"of many", 10, Config{}, "11000 break 3", []string{"11020 -3"}},
		{"of two", 2, Config{}, "11000 break 1", []string{"11020 -1"}},
		{"of one", 1, Config{}, "11000 break 0", []string{"11020 -0"}},
		{"in a poll that others do not answer", 10, Config{PollTime: 100 * ms}, "10900 hang 4; 11050 break 3", []string{"11070 -3", "13000 -4"}},
		{"while polls are far apart", 10, Config{PollTime: 1000 * 1000 * ms}, "11000 break 3", []string{"11020 -3"}},
		{"while newcomers are waited for", 10, Config{}, "10990 join 20; 10990 hang 20; 11000 break 3", []string{"11020 -3"}},
		{"back in time", 10, Config{}, "11000 break 3; 11019 join 3", nil},
		{"back too late", 10, Config{}, "11000 break 3; 11020 join 3", []string{"11020 -3", "11020 +3"}},
		{"again and again", 10, Config{}, "11000 break 3; 11010 join 3; 11015 break 3; 11030 join 3; 11200 break 3", []string{"11220 -3"}},
	} {
		test.run(t)
	}
}

// Several ends wait until none has followed for 100 ms, at most a second.
func TestEndsThatFollow(t *testing.T) {
	for _, test := range []played{
		{"within 20 ms", 10, Config{}, "11000 break 0; 11019 break 1", []string{"11119 -0 -1"}},
		{"after 20 ms", 10, Config{}, "11000 break 0; 11021 break 1", []string{"11020 -0", "11041 -1"}},
		{"within 100 ms of the last", 10, Config{}, "11000 break 0; 11010 break 1; 11109 break 2", []string{"11209 -0 -1 -2"}},
		{"after 100 ms", 10, Config{}, "11000 break 0; 11010 break 1; 11111 break 2", []string{"11110 -0 -1", "11131 -2"}},
		{"together", 10, Config{}, "11000 break 0-3", []string{"11100 -0 -1 -2 -3"}},
		{"one is back", 10, Config{}, "11000 break 0 1; 11050 join 0", []string{"11100 -1"}},
		{
			"for a second", 40, Config{},
			"11000 break 0; 11010 break 1; 11100 break 2; 11190 break 3; 11280 break 4; 11370 break 5; 11460 break 6; " +
				"11550 break 7; 11640 break 8; 11730 break 9; 11820 break 10; 11910 break 11; 11999 break 12; 12005 break 13",
			[]string{"12000 -0 -1 -10 -11 -12 -2 -3 -4 -5 -6 -7 -8 -9", "12025 -13"},
		},
		{
			"joins go on", 10, Config{}, "11000 break 0 1; 11010 join 20; 11040 join 21 22",
			[]string{"11010 +20", "11040 +21 +22", "11100 -0 -1"},
		},
		{
			"and other leaves", 10, Config{MissedSurveys: 1}, "10500 hang 7; 11990 break 0; 12000 break 1; 12050 leave 5; 12090 break 2",
			[]string{"12050 -5", "12190 -0 -1 -2", "13000 -7"},
		},
	} {
		test.run(t)
	}
}
