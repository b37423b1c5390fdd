// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

/// A guest that an engine has started, as ``RunMonitor`` watches it.
public protocol RunningGuest: AnyObject {
    /// The engine's process, for the message of a tool that finds the directory in use.
    var holder: String { get }

    /// The regular files that the engine has open or has loaded firmware from, while the guest is paused, without those that
    /// the settings name as outputs; empty where it does not answer.
    func openFiles() -> [OpenFile]
    /// Lets a paused guest run.
    func resume()
    /// Does work that must not wait, such as feeding input. Returns the seconds until the next call; nil
    /// for no need.
    func pump() -> Double?

    /// How the engine's process ended; nil while it runs.
    func poll() -> ProcessEnd?
    /// The engine's events since the last call.
    func takeEvents() -> [GuestEvent]
    /// Guest instructions executed so far.
    func instructions() throws(GuestSilence) -> UInt64
    /// Whether the engine reports that the guest is not paused. False if it does not answer.
    func isExecuting() -> Bool
    /// Whether the engine waits in a system call that cannot be interrupted: a slow disk is no hang.
    func isWaitingForDisk() -> Bool
    /// Seconds of processor time that the engine's process has used; nil where that is unknown.
    func processorTime() -> Double?
    /// Bytes of the input log that a replay has read; nil where that is unknown.
    func inputOffset() -> UInt64?
    /// Bytes of the log that the recorder has written: progress that shows even while the engine reports none.
    func logSize() -> UInt64
    /// The state of the guest's processor.
    func processor() -> Standstill.Processor
    /// Asks the engine to end the run. False where it cannot be asked.
    func askToEnd() -> Bool
    /// Sends a signal to the engine's process.
    func signal(_ number: Int32)
}

extension RunningGuest {
    /// Kills the engine and waits for its end.
    func endNow() {
        signal(SIGKILL)
        while poll() == nil { usleep(1000) }
    }
}

/// A file that an engine has open.
public struct OpenFile: Sendable, Equatable {
    /// Absolute.
    public var path: String
    /// Whether the engine can write to it.
    public var isWritable: Bool
    /// The role of a file of the engine itself; nil for others.
    public var role: String?
}

/// Why an engine gave no answer.
public enum GuestSilence: Error, Sendable {
    /// Not within the time limit; it may answer later.
    case busy
    /// It is ending.
    case gone
}

/// An event that an engine reports without a request.
public enum GuestEvent: Sendable, Equatable {
    /// The run ends; the reason is the engine's word for it.
    case shutdown(reason: String?)
    /// A paused guest continues.
    case resumed
    /// The guest reported a panic.
    case panicked
    /// The machine was reset and runs on.
    case reset(RunOutcome.Reset)
}
