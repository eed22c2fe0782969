"""What the user types: commands, options, help, exit statuses."""
