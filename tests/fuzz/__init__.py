"""What throws things together by dice, and checks what comes of it."""
