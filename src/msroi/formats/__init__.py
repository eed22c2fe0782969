"""What files of photographs hold beside their pixels."""
