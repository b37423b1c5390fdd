-- SPDX-License-Identifier: GPL-2.0-or-later
-- Neovim with nvim-dap: tt-dap as a debug adapter. Change the paths of the run and of the sources.
local dap = require('dap')
-- The launch is answered when the guest is at its place.
dap.adapters.tt = { type = 'executable', command = 'tt-dap', options = { initialize_timeout_sec = 120 } }
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
-- The stack and the variables at the right of the source, the console below.
vim.keymap.set('n', '<F2>', function()
  local widgets, source = require('dap.ui.widgets'), vim.api.nvim_get_current_win()
  dap.repl.open({ height = 10 }, 'botright split')
  vim.api.nvim_set_current_win(source)
  widgets.sidebar(widgets.scopes, {}, 'rightbelow 40 vsplit').open()
  vim.cmd('wincmd l')
  widgets.sidebar(widgets.frames, {}, 'leftabove 5 split').open()
  vim.api.nvim_set_current_win(source)
end)
