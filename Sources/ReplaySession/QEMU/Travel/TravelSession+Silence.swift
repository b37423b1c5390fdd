// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory

/// A QEMU that does not answer any more.
///
/// QEMU 10.0 has been seen to fall silent after it had been stopped for some minutes; nothing of the guest is lost by that. The run
/// repeats itself, so QEMU is killed, started again, and goes to the place from a checkpoint.
extension TravelSession {
    /// Whether an answer of QEMU has not come in time.
    var isSilent: Bool { side.isSilent || client.isSilent }

    /// Does something, and does it once more if QEMU falls silent: then the guest is at its first instruction.
    func despiteSilence<T>(_ body: () throws -> T) throws -> T {
        do {
            return try body()
        } catch let error as RunError {
            guard try startAfterSilence(error) else { throw error }
            return try body()
        }
    }

    /// Starts QEMU again, at the first instruction, if it has fallen silent. Returns false if that is not the reason of an error, or
    /// if the session has a recorder: its log would have a gap.
    func startAfterSilence(_ error: RunError) throws -> Bool {
        guard isSilent, side.recorderSettings == nil else { return false }
        try startAgain()
        let reason = if case .engine(let problem, _) = error { problem } else { "\(error)" }
        onSilence("\(reason): it was killed and started again")
        return true
    }
}
