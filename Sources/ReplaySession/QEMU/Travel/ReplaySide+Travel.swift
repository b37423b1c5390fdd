// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

/// What a ``TravelSession`` needs of QEMU besides runs to a place.
extension ReplaySide {
    /// Asks QEMU for its instruction count: a debugger has let it run.
    func lookWhere() throws(RunError) {
        icount = try count()
        memory.guestRuns()
    }

    private func count() throws(RunError) -> UInt64 {
        guard let count = try ask("query-replay")["icount"]?.integer else {
            throw .engine(problem: "QEMU does not report its instruction count", output: "")
        }
        return UInt64(clamping: count)
    }

    /// Stops the guest wherever it is.
    func pause() throws(RunError) {
        try ask("stop")
        try? removeBreak()
        try lookWhere()
    }

    /// Lets QEMU stop at a count when a debugger continues the guest.
    func setBreak(at icount: UInt64) throws(RunError) {
        try ask("replay-break", ["icount": .integer(Int64(clamping: icount))])
    }

    /// The guest runs on without a stop.
    func removeBreak() throws(RunError) { try ask("replay-delete-break") }

    /// Keeps the state of the stopped guest under a name.
    func keepState(_ name: String) throws(RunError) {
        let answer = try monitor("savevm \(name)")
        guard answer.isEmpty else { throw .engine(problem: "QEMU kept no checkpoint", output: answer) }
    }

    /// The counts of the states that the images have, ascending.
    func keptStates() throws(RunError) -> [UInt64] {
        let words = try monitor("info snapshots").split(whereSeparator: \.isWhitespace)
        return Set(words.compactMap { Checkpoints.count(String($0)) }).sorted()
    }

    /// Puts the guest back to a state that was kept at this count.
    func restoreState(_ name: String, icount: UInt64) throws(RunError) {
        let answer = try monitor("loadvm \(name)")
        guard answer.isEmpty else { throw .engine(problem: "QEMU did not go back", output: answer) }
        try lookWhere()
        guard self.icount == icount else {
            throw .engine(problem: "QEMU went back to \(self.icount) and not to \(icount)", output: "")
        }
    }

    /// Forgets a kept state.
    func dropState(_ name: String) throws(RunError) { _ = try monitor("delvm \(name)") }

    /// Writes an ELF core with the registers and the first bytes of the physical memory (QEMU's dump-guest-memory).
    func writeCore(to path: String, bytes: Int) throws(RunError) {
        try ask(
            "dump-guest-memory",
            [
                "paging": .bool(false), "protocol": .string("file:\(path)"), "begin": .integer(0),
                "length": .integer(Int64(bytes)),
            ])
    }
}
