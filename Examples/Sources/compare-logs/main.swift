// SPDX-License-Identifier: GPL-2.0-or-later
//
// compare-logs ORIGINAL REPLAY
//
// Prints the verdict on two logs and, where they differ, the position and the fields that differ.
// Exit status: 0 the runs are the same, 1 they differ, 2 they cannot be compared.

import Alignment
import Glibc
import LogFormat

let original = try LogFile(path: CommandLine.arguments[1])
let replay = try LogFile(path: CommandLine.arguments[2])
let alignment = try align(original, replay)
print(alignment.verdict.name)
if let divergence = alignment.divergence {
    print("original at brctr \(divergence.original.clock), replay at brctr \(divergence.replay.clock)")
    for field in divergence.difference?.fields ?? [] { print("  \(field.name): \(field.original) != \(field.replay)") }
}
for caveat in alignment.caveats { print("caveat: \(caveat.text)") }
exit(alignment.verdict.exitStatus)
