// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

/// A notice about placing symbol files, with the user's remedy.
public struct PlacementNotice: Sendable, Hashable {
    /// The finding, assumption or lack.
    public var notice: Notice
    /// What the caller can do about it; `nil` if nothing needs to be done.
    public var remedy: PlacementRemedy?
}

/// An input from the caller with which a file can be placed. Executables spell it as their option.
public enum PlacementRemedy: Sendable, Hashable {
    /// Give the program's load address: the lowest address that it was mapped to (`/proc/PID/maps`).
    case giveLoadAddress(path: String)
    /// Add the file as a kernel (``SymbolPlacer/addKernel(_:)``): it is no user program.
    case addAsKernel(path: String)
}

/// A symbol file cannot be used for a run with the placement that the caller gave.
public struct PlacementError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Why the file cannot be used.
    public enum Kind: Sendable, Hashable {
        /// The program is position-independent, and there is no log whose calls could show where it was loaded.
        case noLog
        /// The program has code above the addresses of user code. `address`: its first one.
        case aboveUserCode(address: UInt64)
    }

    /// The path of the file, as the caller gave it.
    public var path: String
    /// Why the file cannot be used.
    public var kind: Kind

    /// What the caller can do about it.
    public var remedy: PlacementRemedy {
        switch kind {
        case .noLog: .giveLoadAddress(path: path)
        case .aboveUserCode: .addAsKernel(path: path)
        }
    }

    /// One sentence: the file, and why it cannot be used.
    public var description: String {
        switch kind {
        case .noLog: "\(path): is position-independent, and there is no log to show where it was loaded"
        case .aboveUserCode(let address):
            "\(path): is no user program: its code begins at \(RowText.hex(address)), user code ends below "
                + RowText.hex(CallTargets.lowerHalf.upperBound)
        }
    }
}
