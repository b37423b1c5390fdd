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
    for field in divergence.difference?.fields ?? [] {
        print("  \(field.name): \(text(field.original)) != \(text(field.replay))")
    }
}
for caveat in alignment.caveats { print("caveat: \(caveat.text)") }
exit(alignment.verdict.exitStatus)

func text(_ value: FieldDifference.Value) -> String {
    switch value {
    case .address(let word), .word(let word): "0x" + String(word, radix: 16)
    case .number(let number): String(number)
    case .name(let name): name
    case .bytes(let bytes): "\(bytes.count) bytes"
    case .absent: "absent"
    }
}
