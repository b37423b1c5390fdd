// SPDX-License-Identifier: GPL-2.0-or-later

/// How much higher than its link addresses a kernel ran (KASLR).
public enum KernelSlide: Hashable, Sendable {
    /// Found from the calls in the log.
    case auto
    /// The kernel ran at its link addresses.
    case off
    /// Bytes, positive if it ran higher.
    case slide(Int64)
}
