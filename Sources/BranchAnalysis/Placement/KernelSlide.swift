// SPDX-License-Identifier: GPL-2.0-or-later

/// The difference between the addresses at which a kernel ran and its link addresses (KASLR).
public enum KernelSlide: Hashable, Sendable {
    /// Unknown: the calls in the log show it.
    case auto
    /// The kernel ran at its link addresses.
    case off
    /// In bytes; positive if the kernel ran higher.
    case slide(Int64)
}
