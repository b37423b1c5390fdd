// SPDX-License-Identifier: GPL-2.0-or-later
//
// make-log FILE BRANCHES EVENTS-EVERY [ACCESSES-EVERY]
//
// Writes the synthetic log that Benchmarks/index measures with.

import Glibc
import TestSupport

let arguments = CommandLine.arguments
guard arguments.count >= 4, let branches = UInt64(arguments[2]), let every = UInt64(arguments[3]) else {
    print("usage: make-log FILE BRANCHES EVENTS-EVERY [ACCESSES-EVERY]")
    exit(2)
}
var run = SyntheticRun(seed: 7, branches: branches)
run.eventsEvery = every
run.accessesEvery = arguments.count > 4 ? UInt64(arguments[4]) ?? 0 : 0
let counts = try run.write(to: arguments[1])
print("\(counts.branches) branches, \(counts.events) events, \(counts.accesses) accesses")
