// SPDX-License-Identifier: GPL-2.0-or-later

/// A remedy for a ``RunError``. The libraries name no option of a command line; each tool spells these.
public enum Remedy: Sendable, Equatable {
    /// Give the run something to boot: a kernel or a disk.
    case nameGuest
    /// Give this disk image as a recorded disk; nil where the image is not known.
    case recordedDisk(image: String?)
    /// Leave the refused thing out.
    case leaveOut
    /// Name a new or an empty directory.
    case nameEmptyDirectory
    /// Name another directory, or allow the recording in this one to be removed.
    case nameAnotherOrOverwrite
    /// Name another replay, or allow the earlier one to be removed.
    case nameAnotherReplayOrOverwrite
    /// Name a directory that holds a recording.
    case nameRecording
    /// Use another name; `rule` says which names are valid.
    case otherName(rule: String)
    /// Wait until the holder of the directory has ended, or end it.
    case waitForHolder
    /// Undo the change, or replay nevertheless to see where the runs part.
    case replayDifferently
    /// Record again.
    case recordAgain
    /// Install the engine's program, or name it.
    case installEngine(package: String)
    /// Build the recorder, or name it. `searched`: the files that were looked for.
    case buildRecorder(searched: [String])
    /// The environment variable names a file that does not exist: correct it.
    case correctVariable(String)
    /// Use an engine that has this, or switch the named log setting off.
    case otherEngine(having: String, orOff: LogSetting)
    /// Choose the instruction clock by the run's own settings.
    case clockSettings
    /// Give the settings as single arguments.
    case singleArguments
    /// Add this argument for the engine.
    case addArgument(String)
    /// Use this value in place of the refused one.
    case useValue(String)
    /// Allow the replay to use everything in the recording's manifest: the recording is the user's own.
    case trustRecording
    /// Put the file back, next to the run directory or where it was, or name another in its place.
    case bringBack
    /// Protect the file from the guest: a temporary snapshot, or read-only.
    case protectFile
    /// Name an engine's program of this version.
    case nameEngine(version: String)
    /// Write the replay to another directory.
    case otherReplayDirectory
    /// Follow this advice; for advice without an option.
    case advice(String)
}

/// A setting of the log that needs an engine which shows registers.
public enum LogSetting: String, Sendable, CaseIterable {
    /// The values that accesses read and write.
    case values
    /// Switches of the address space and of the stack.
    case context
    /// Interrupts and exceptions, as events.
    case causes
    /// Digests of the registers.
    case registers
}
