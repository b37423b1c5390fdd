-- SPDX-License-Identifier: GPL-2.0-or-later
-- Neovim with nvim-dap: tt-dap as a debug adapter. Change the paths of the run and of the sources.
local dap = require('dap')
dap.adapters.tt = { type = 'executable', command = 'tt-dap' }
dap.configurations.c = {
  {
    type = 'tt', request = 'launch', name = 'Recorded run',
    run = '/tmp/run1', place = '0', sourceMap = { ['/build/linux'] = '/home/me/linux' },
  },
}
vim.keymap.set('n', '<F5>', dap.continue)
vim.keymap.set('n', '<F6>', dap.reverse_continue)
vim.keymap.set('n', '<F8>', dap.toggle_breakpoint)
vim.keymap.set('n', '<F9>', dap.step_back)
vim.keymap.set('n', '<F10>', dap.step_over)
