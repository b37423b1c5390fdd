// SPDX-License-Identifier: GPL-2.0-or-later
//
// read-log LOG
//
// Prints what a log holds, its damage, and the first branches of each vCPU.

import LogFormat

let log = try LogFile(path: CommandLine.arguments[1])
let summary = LogSummary(log)
print("\(summary.records(.branch)) branches, \(summary.records(.event)) events, \(summary.records(.access)) accesses")
for damage in summary.damage { print("damaged: \(damage)") }
for vcpu in log.vcpus {
    var branches = log.branches(vcpu: vcpu)
    for _ in 0..<5 {
        guard let branch = branches.next() else { break }
        print("\(branch.clock): 0x\(hex(branch.from)) -> 0x\(hex(branch.to))  \(branch.label)")
    }
}

func hex(_ number: UInt64) -> String { String(number, radix: 16) }
