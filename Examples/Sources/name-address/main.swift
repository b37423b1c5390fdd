// SPDX-License-Identifier: GPL-2.0-or-later
//
// name-address FILE ADDRESS
//
// Prints the functions and lines that an address (hexadecimal) of an ELF file belongs to, innermost first.

import Glibc
import Symbolize

let symbolizer = Symbolizer()
try symbolizer.add(CommandLine.arguments[1])
guard let address = UInt64(CommandLine.arguments[2], radix: 16), let place = symbolizer.symbolize(address) else {
    print("no name")
    exit(1)
}
print(place.label)
for frame in place.frames {
    print("  \(frame.function) at \(frame.place ?? "an unknown line")\(frame.isInlined ? ", inlined" : "")")
}
