// SPDX-License-Identifier: GPL-2.0-or-later
//
// make-pairs DIRECTORY COUNT [BRANCHES]
//
// Writes COUNT run directories with one replay each (DIRECTORY/00000/ttd.log, DIRECTORY/00000/replays/1/ttd.log, ...), of
// random shapes, with one difference of a random class at a random place, or none. DIRECTORY/expected.tsv has a line for
// each: the name, the verdict, and the clock at which the runs part. Pairs of the same number are the same each time.

import Glibc
import TestSupport

guard CommandLine.arguments.count >= 3, let count = UInt64(CommandLine.arguments[2]) else {
    print("usage: make-pairs DIRECTORY COUNT [BRANCHES]")
    exit(2)
}
let directory = CommandLine.arguments[1]
let branches = CommandLine.arguments.count > 3 ? UInt64(CommandLine.arguments[3]) ?? 0 : 20_000
var expected = ""
for number in 0..<count {
    let digits = String(number)
    let name = String(repeating: "0", count: max(0, 5 - digits.count)) + digits
    let run = "\(directory)/\(name)"
    for path in [run, "\(run)/replays", "\(run)/replays/1"] { mkdir(path, 0o777) }
    var numbers = RandomNumbers(seed: 0x7061_6972 &+ number)
    while true {
        let shape = RandomPair.run(number, branches: branches, &numbers)
        let pair = SyntheticPair(run: shape, difference: RandomPair.difference(shape, &numbers))
        do {
            let answer = try pair.write(original: "\(run)/ttd.log", replay: "\(run)/replays/1/ttd.log")
            expected += "\(name)\t\(answer.verdict.rawValue)\t\(answer.clock.map(String.init) ?? "")\n"
            break
        } catch is SyntheticPair.NoSuchPlace {
            continue
        }
    }
}
guard let file = fopen("\(directory)/expected.tsv", "w"), fputs(expected, file) >= 0, fclose(file) == 0 else {
    fatalError("make-pairs: cannot write \(directory)/expected.tsv")
}
